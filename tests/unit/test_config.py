"""Every mistake in a configuration is one readable line; what is right becomes settings with the defaults filled in."""

import copy

import msgspec
import pytest
import yaml

from somaray.config import AUTO_MEMORY_BYTES, load_settings
from somaray.errors import SomarayError
from somaray.matrix import Run
from somaray.settings import DaskSettings, HvgSettings, Limits, ProfileSettings, RunSettings, SlurmSettings
from somaray.units import Parallelism
from somaray.validation import Origins, dotted, load_schema
from somaray.variants import keep_last_variants

BASE = """
catalogue:
  a: {kind: synthetic, n_obs: 20k, n_vars: 1k, nnz_per_obs: 100}
  b: {kind: synthetic, n_obs: 1M, n_vars: 60530}
datasets: [a]
methods: [in-memory, soma-dask]
chunk_sizes: [2k]
parallelism: [1x1x1]
"""


def merged(below, above):
    """As Snakemake merges configuration files: mappings merge, everything else is replaced."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


@pytest.fixture
def load(tmp_path):
    """Load settings from texts of configuration files, each over those before it; they are 0.yaml, 1.yaml, …"""

    def load(*texts):
        files, config = [], {}
        for number, text in enumerate((BASE, *texts)):
            files.append(tmp_path / f"{number}.yaml")
            files[-1].write_text(text)
            config = merged(config, yaml.safe_load(text) or {})
        keep_last_variants(config, files)
        return load_settings(config, files)

    return load


def test_native_traces_leave_the_plain_capture_as_it_is(load):
    settings = load("profile: {native_traces: true, trace_python_allocators: true}")
    assert settings.native_traces
    assert settings.profile == ProfileSettings(trace_python_allocators=True)


def test_defaults_are_filled_in(load):
    settings = load()
    assert settings.replicates == 3
    assert settings.hvg == HvgSettings()
    assert settings.common == RunSettings(dask=DaskSettings())
    assert settings.variants == {"default": settings.common}
    assert settings.profile == ProfileSettings()
    assert not settings.native_traces
    assert settings.limits == Limits(memory_bytes=AUTO_MEMORY_BYTES, time_seconds=None)
    assert settings.imported == ()
    assert settings.catalogue["a"] == {
        "kind": "synthetic", "n_obs": 20_000, "n_vars": 1000, "nnz_per_obs": 100, "seed": 0, "layout": "census",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("section", "kind"), [("hvg", HvgSettings), ("dask", DaskSettings), ("profile", ProfileSettings)]
)
def test_the_schema_and_the_records_have_the_same_keys_and_defaults(section, kind):
    properties = load_schema()["properties"][section]["properties"]
    assert set(properties) == set(kind.__struct_fields__)
    defaults = {name: described["default"] for name, described in properties.items()}
    assert msgspec.convert(defaults, kind) == kind()


def test_the_mapping_that_was_given_is_left_alone():
    config = yaml.safe_load(BASE)
    before = copy.deepcopy(config)
    load_settings(config)
    assert config == before


def test_every_key_has_a_description():
    def check(schema, key):
        for name, described in schema.get("properties", {}).items():
            described_elsewhere = {"exclude", "only"}.intersection(key) or "const" in described
            assert described_elsewhere or described.get("description"), (*key, name)
            check(described, (*key, name))
        for form in schema.get("oneOf", []):
            assert form["description"]
            check(form, (*key, form["title"]))
        for inner in ("additionalProperties", "items"):
            if isinstance(schema.get(inner), dict):
                check(schema[inner], (*key, inner))

    check(load_schema(), ())


def test_mappings_merge_and_lists_replace(load):
    settings = load(
        "catalogue: {c: {kind: synthetic, n_obs: 10, n_vars: 20, nnz_per_obs: 3}}\ndatasets: [c]\nhvg: {n_bins: 10}",
        "hvg: {n_top_genes: 500}\nchunk_sizes: [5, 10]\nmethods: [soma-dask]",
    )
    assert [run.path for run in settings.runs] == ["c/soma-dask/5_1x1x1", "c/soma-dask/10_1x1x1"]
    assert settings.datasets == ("c",)
    assert settings.hvg == HvgSettings(n_bins=10, n_top_genes=500)
    assert set(settings.catalogue) == {"a", "b", "c"}


def test_runs_alone_are_enough(load):
    settings = load("datasets: []\nruns: {b: [100k_4x4x4, in-memory]}")
    assert [run.path for run in settings.runs] == ["b/in-memory/whole", "b/soma-dask/100k_4x4x4"]


def test_sizes_and_switches_of_tiledb_become_its_own_text(load):
    settings = load(
        "tiledb: {soma.init_buffer_bytes: 1GiB, sm.mem.total_budget: 2147483648, sm.a: true, sm.b: 1.5, sm.c: 16 kB, sm.d: B}"
    )
    assert settings.common.tiledb == {
        "soma.init_buffer_bytes": "1073741824",
        "sm.mem.total_budget": "2147483648",
        "sm.a": "true",
        "sm.b": "1.5",
        "sm.c": "16000",
        "sm.d": "B",
    }


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("{memory: 12GiB, time: 30m}", Limits(memory_bytes=12 * 2**30, time_seconds=1800)),
        ("{memory: null, time: 90}", Limits(memory_bytes=None, time_seconds=90)),
        ("{memory: auto}", Limits(memory_bytes=AUTO_MEMORY_BYTES)),
    ],
)
def test_limits_become_numbers(load, text, limits):
    assert load(f"limits: {text}").limits == limits


def test_imported_patterns_become_files(load, tmp_path):
    for name in ("y.json", "x.json", "z.txt"):
        (tmp_path / name).write_text("{}")
    settings = load(f"imported: ['{tmp_path}/*.json', '{tmp_path}/x.json']")
    assert settings.imported == (str(tmp_path / "x.json"), str(tmp_path / "y.json"))


def test_what_runs_read_must_be_there_and_what_does_not_run_need_not(load, tmp_path):
    entry = f"catalogue: {{c: {{kind: h5ad, path: {tmp_path}/c.h5ad}}, s: {{kind: soma, uri: {tmp_path}/s}}}}\n"
    load(entry)
    with pytest.raises(SomarayError, match=rf"1\.yaml: catalogue\.c\.path: '{tmp_path}/c\.h5ad' is not there"):
        load(entry + "datasets: [c]")
    with pytest.raises(SomarayError, match=rf"1\.yaml: catalogue\.s\.uri: '{tmp_path}/s' is not there"):
        load(entry + "datasets: []\nruns: {s: [10_1x1x1]}")
    (tmp_path / "c.h5ad").touch()
    (tmp_path / "s").mkdir()
    assert load(entry + "datasets: [c, s]").datasets == ("c", "s")


def test_a_remote_uri_is_not_looked_for(load):
    settings = load("catalogue: {s: {kind: soma, uri: 's3://bucket/s'}}\ndatasets: [s]")
    assert settings.catalogue["s"] == {
        "kind": "soma", "uri": "s3://bucket/s", "measurement": "RNA", "layer": "raw", "obs_filter": None,
        "var_filter": None, "obs_id": None, "var_id": None, "tiledb": {},
    }  # fmt: skip


SYNTHETIC = "kind: synthetic, n_obs: 1k, n_vars: 10"

MISTAKES = [
    # (what the file says, the key that is named, parts of the message: the value and what is allowed)
    ("wrong: 1", "wrong", "unknown key 'wrong'", "chunk_sizes, compare_with, dask, datasets"),
    ("1: 2", "(top level)", "1 is not allowed as a key", "text"),
    ("yes: 2", "(top level)", "True is not allowed as a key", "text"),
    ("datasets: [zz]", "datasets[0]", "unknown dataset 'zz'", "a, b"),
    ("datasets: [a, zz]", "datasets[1]", "unknown dataset 'zz'", "a, b"),
    ("datasets: zz", "datasets", "'zz'", "a list"),
    ("datasets: [a, a]", "datasets", "['a', 'a']", "each item once"),
    ("datasets: []", "(top level)", "no run is left", "or runs"),
    ("methods: [magic]", "methods[0]", "unknown method 'magic'", "soma-dask, in-memory"),
    ("methods: []", "methods", "[]", "at least one"),
    ("chunk_sizes: [10q]", "chunk_sizes[0]", "'10q'", "5000, 100k or 1M"),
    ("chunk_sizes: [1k, 0]", "chunk_sizes[1]", "0 is not a count", "above 0"),
    ("chunk_sizes: [1.5]", "chunk_sizes[0]", "1.5", "a whole number or text"),
    ("chunk_sizes: [true]", "chunk_sizes[0]", "True", "a whole number or text"),
    ("parallelism: [4x4]", "parallelism[0]", "'4x4'", "PxTxC"),
    ("parallelism: [1x1x1, 4x0x4]", "parallelism[1]", "'4x0x4'", "at least 1"),
    ("parallelism: [4]", "parallelism[0]", "4 is not allowed", "text"),
    ("replicates: 0", "replicates", "0 is not allowed", "at least 1"),
    ("replicates: two", "replicates", "'two'", "a whole number"),
    ("replicates: true", "replicates", "True", "a whole number"),
    ("hvg: {flavor: louvain}", "hvg.flavor", "'louvain'", "seurat, cell_ranger, seurat_v3"),
    ("hvg: {n_top_gene: 3}", "hvg.n_top_gene", "unknown key 'n_top_gene'", "n_top_genes"),
    ("hvg: {n_top_genes: 0}", "hvg.n_top_genes", "0 is not allowed", "at least 1"),
    ("hvg: {flavor: seurat_v3}", "hvg.n_top_genes", "null", "a number of genes"),
    ("hvg: {min_mean: 5}", "hvg.min_mean", "5", "below hvg.max_mean, which is 3"),
    ("hvg: {max_disp: 0.1}", "hvg.min_disp", "0.5", "below hvg.max_disp, which is 0.1"),
    ("hvg: {span: 2}", "hvg.span", "2", "at most 1"),
    ("hvg: {target_sum: 0}", "hvg.target_sum", "0", "above 0"),
    ("hvg: {batch_key: 3}", "hvg.batch_key", "3", "text or null"),
    ("hvg:", "hvg", "None", "a mapping"),
    ("profile: {native: true}", "profile.native", "unknown key 'native'", "native_traces"),
    ("profile: {native_traces: 1}", "profile.native_traces", "1", "true or false"),
    ("tiledb: {sm.a: [1]}", "tiledb.sm.a", "[1]", "text or a number"),
    ("tiledb: {vfs.s3.aws_secret_access_key: x}", "tiledb.vfs.s3.aws_secret_access_key", "credentials", "environment"),
    ("dask: {dashboard: 'on'}", "dask.dashboard", "'on'", "true or false"),
    ("dask: {cluster: kubernetes}", "dask.cluster", "'kubernetes'", "local, slurm, or the address of a scheduler"),
    ("variants: {v: {dask: {cluster: 'tcp://host'}}}", "variants.v.dask.cluster", "'tcp://host'", "tls://host:8786"),
    ("dask: {slurm: {partition: main}}", "dask.slurm.partition", "unknown key 'partition'", "queue"),
    ("dask: {slurm: {memory: much}}", "dask.slurm.memory", "'much'", "4GiB"),
    ("variants: {v: {dask: {slurm: {memory: 0}}}}", "variants.v.dask.slurm.memory", "0", "expected more, or null"),
    ("dask: {slurm: {walltime: 0}}", "dask.slurm.walltime", "0", "30m, 2h"),
    ("dask: {library_threads: 0}", "dask.library_threads", "0", "at least 1"),
    ("exclude: [{variant: small}]", "exclude[0].variant", "unknown variant 'small'", "default"),
    ("runs: {a: [1k_1x1x1_small]}", "runs.a[0]", "unknown variant 'small'", "default"),
    ("variants: [small]", "variants", "['small']", "a mapping"),
    ("variants: {small: 16MiB}", "variants.small", "'16MiB'", "a mapping or null"),
    ("variants: {a_b: {}}", "variants.a_b", "'a_b' is not allowed as a name", "letters, digits, dots and dashes"),
    ("variants: {'': {}}", "variants.", "''", "letters, digits"),
    ("variants: {v: {profile: {}}}", "variants.v.profile", "unknown key 'profile'", "obs_columns, only, tiledb"),
    ("variants: {v: {dask: {dashbord: true}}}", "variants.v.dask.dashbord", "unknown key 'dashbord'", "dashboard"),
    ("variants: {v: {tiledb: {sm.a: [1]}}}", "variants.v.tiledb.sm.a", "[1]", "text or a number"),
    ("variants: {default: {tiledb: {a: 1}}}", "variants.default.tiledb", "nothing laid over it", "top level"),
    (
        "variants: {v: {tiledb: {vfs.s3.aws_secret_access_key: x}}}",
        "variants.v.tiledb.vfs.s3.aws_secret_access_key",
        "credentials",
        "environment",
    ),
    (
        "variants: {v: {environment: {AWS_SESSION_TOKEN: x}}}",
        "variants.v.environment.AWS_SESSION_TOKEN",
        "credentials",
        "started in",
    ),
    ("environment: {MY_PASSWORD: x}", "environment.MY_PASSWORD", "credentials", "started in"),
    ("environment: {A: [1]}", "environment.A", "[1]", "text or a number"),
    ("environment: {A=B: 1}", "environment.A=B", "'A=B'", "without ="),
    ("environment: {OMP_NUM_THREADS: 4}", "environment.OMP_NUM_THREADS", "4", "dask.library_threads"),
    ("environment: {PYTHONPATH: x}", "environment.PYTHONPATH", "'x'", "where Python finds them"),
    ("obs_columns: cell_type", "obs_columns", "'cell_type'", "a list or null"),
    ("variants: {v: {var_columns: [1]}}", "variants.v.var_columns[0]", "1", "text"),
    ("variants: {v: {only: [{datset: a}]}}", "variants.v.only[0].datset", "unknown key 'datset'", "dataset"),
    ("variants: {v: {only: [{dataset: zz}]}}", "variants.v.only[0].dataset", "unknown dataset 'zz'", "a, b"),
    ("variants: {v: {only: [{method: magic}]}}", "variants.v.only[0].method", "unknown method 'magic'", "soma-dask"),
    ("variants: {v: {only: [{chunk_size: 10q}]}}", "variants.v.only[0].chunk_size", "'10q'", "100k"),
    ("limits: {memory: lots}", "limits.memory", "'lots'", "4GiB"),
    ("limits: {memory: ''}", "limits.memory", "''", "4GiB"),
    ("limits: {memory: 0}", "limits.memory", "0", "a size, auto or null"),
    ("limits: {time: soon}", "limits.time", "'soon'", "30m"),
    ("limits: {time: 0}", "limits.time", "0", "30m"),
    ("exclude: [{datset: a}]", "exclude[0].datset", "unknown key 'datset'", "dataset"),
    ("exclude: [{}]", "exclude[0]", "{}", "at least one key"),
    ("exclude: [{dataset: zz}]", "exclude[0].dataset", "unknown dataset 'zz'", "a, b"),
    ("exclude: [{dataset: a}, {method: magic}]", "exclude[1].method", "unknown method 'magic'", "soma-dask"),
    ("exclude: [{chunk_size: 10q}]", "exclude[0].chunk_size", "'10q'", "100k"),
    ("exclude: [{parallelism: 4x4}]", "exclude[0].parallelism", "'4x4'", "PxTxC"),
    ("exclude: [{processes: -1}]", "exclude[0].processes", "-1", "at least 0"),
    ("exclude: [{dataset: a}]", "(top level)", "no run is left", "datasets"),
    ("runs: {zz: [1k_1x1x1]}", "runs.zz", "unknown dataset 'zz'", "a, b"),
    ("runs: {a: 1k_1x1x1}", "runs.a", "'1k_1x1x1'", "a list"),
    ("runs: {a: [1k_1x1]}", "runs.a[0]", "'1x1'", "PxTxC"),
    ("runs: {a: [in-memory, nope]}", "runs.a[1]", "'nope'", "100k_4x4x4"),
    ("runs: {a: [magic/1k_1x1x1]}", "runs.a[0]", "unknown method 'magic'", "soma-dask"),
    ("compare_with: /nowhere", "compare_with", "'/nowhere' has no tables/runs.csv", "results directory"),
    ("imported: ['/nowhere/*.json']", "imported[0]", "'/nowhere/*.json' matches no file", "JSON"),
    ("catalogue: {c: 3}", "catalogue.c", "3", "a mapping"),
    ("catalogue: {c: {n_obs: 1}}", "catalogue.c", "'kind' is missing", "Where the cells come from"),
    ("catalogue: {c: {kind: zarr}}", "catalogue.c.kind", "'zarr'", "synthetic, h5ad, soma, census"),
    ("catalogue: {c: {kind: h5ad}}", "catalogue.c", "'path' is missing", "file"),
    ("catalogue: {c: {kind: soma}}", "catalogue.c", "'uri' is missing", "URI"),
    ("catalogue: {c: {kind: census}}", "catalogue.c", "'version' is missing", "2024-07-01"),
    ("catalogue: {c: {kind: synthetic, n_vars: 3}}", "catalogue.c", "'n_obs' is missing", "Cells"),
    ("catalogue: {c: {kind: synthetic, n_obs: x, n_vars: 3}}", "catalogue.c.n_obs", "'x'", "100k"),
    (f"catalogue: {{c: {{{SYNTHETIC}, colour: red}}}}", "catalogue.c.colour", "unknown key 'colour'", "n_obs, n_vars"),
    (f"catalogue: {{c: {{{SYNTHETIC}, nnz_per_obs: 0}}}}", "catalogue.c.nnz_per_obs", "0", "above 0"),
    (f"catalogue: {{c: {{{SYNTHETIC}, seed: x}}}}", "catalogue.c.seed", "'x'", "a whole number"),
    (f"catalogue: {{c: {{{SYNTHETIC}, layout: x}}}}", "catalogue.c.layout", "'x'", "census, scan"),
    (f"catalogue: {{a/b: {{{SYNTHETIC}}}}}", "catalogue", "'a/b'", "letters, digits"),
    (f"catalogue: {{1: {{{SYNTHETIC}}}}}", "catalogue", "1 is not allowed as a key", "text"),
    (
        "catalogue: {c: {kind: soma, uri: x, tiledb: {vfs.s3.aws_session_token: t}}}",
        "catalogue.c.tiledb.vfs.s3.aws_session_token",
        "credentials",
        "environment",
    ),
]


@pytest.mark.parametrize(("text", "key", "value", "allowed"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_a_mistake_is_one_line_that_names_file_key_value_and_what_is_allowed(load, tmp_path, text, key, value, allowed):
    with pytest.raises(SomarayError) as error:
        load(text)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/1.yaml: {key}: ")
    assert value in message
    assert allowed in message
    assert "\n" not in message


@pytest.mark.parametrize("missing", ["catalogue", "methods", "chunk_sizes", "parallelism"])
def test_a_required_key_that_is_missing_is_told(missing):
    config = yaml.safe_load(BASE)
    del config[missing]
    with pytest.raises(SomarayError, match=f"'{missing}' is missing"):
        load_settings(config)


def test_a_mistake_is_laid_to_the_last_file_that_sets_the_key(load, tmp_path):
    with pytest.raises(SomarayError) as error:
        load("replicates: 0", "hvg: {n_bins: 3}")
    assert str(error.value).startswith(f"{tmp_path}/1.yaml: replicates")
    with pytest.raises(SomarayError) as error:
        load("replicates: 2", "replicates: 0", "")
    assert str(error.value).startswith(f"{tmp_path}/2.yaml: replicates")


def test_a_mistake_in_no_file_is_laid_to_the_command_line(tmp_path):
    config = yaml.safe_load(BASE) | {"replicates": 0}
    path = tmp_path / "config.yaml"
    path.write_text(BASE)
    with pytest.raises(SomarayError, match="^the command line: replicates: 0"):
        load_settings(config, [path])


def test_origins_look_up_through_what_stands_above_a_key(tmp_path):
    for name, text in (("one.yaml", "hvg: {n_bins: 1}\nl: [1, 2]"), ("two.yaml", "hvg: {span: 1}"), ("empty.yaml", "")):
        (tmp_path / name).write_text(text)
    origins = Origins([tmp_path / "one.yaml", tmp_path / "two.yaml", tmp_path / "empty.yaml"])
    assert origins.of(("hvg", "n_bins")).endswith("one.yaml")
    assert origins.of(("hvg", "span")).endswith("two.yaml")
    assert origins.of(("hvg", "unset")).endswith("two.yaml")
    assert origins.of(("l", 1)).endswith("one.yaml")
    assert origins.of(("other",)) == "the command line"


def test_keys_are_written_as_people_write_them():
    assert dotted(("catalogue", "heart", "n_obs")) == "catalogue.heart.n_obs"
    assert dotted(("runs", "heart", 2)) == "runs.heart[2]"
    assert dotted(()) == "(top level)"


VARIANTS = """
tiledb: {sm.a: 1, sm.b: 2}
dask: {library_threads: 2, config: {distributed.comm.retry.count: 1, distributed.comm.retry.delay.min: 1s}}
environment: {MALLOC_ARENA_MAX: 2}
obs_columns: [cell_type]
variants:
  default: {}
  other:
    tiledb: {sm.b: 16MiB}
    dask: {memory_management: true, config: {distributed.comm.retry.count: 7}}
    environment: {ARROW_DEFAULT_MEMORY_POOL: system}
    obs_columns: [tissue, cell_type, tissue]
  all: {obs_columns: null}
"""


def test_a_variant_is_laid_over_the_settings_of_all_runs(load):
    settings = load(VARIANTS)
    by_path = {run.path: settings.of(run) for run in settings.runs}
    assert set(by_path) == {
        *(f"a/soma-dask/2k_1x1x1{end}" for end in ("", "_other", "_all")),
        *(f"a/in-memory/whole{end}" for end in ("", "_other", "_all")),
    }
    default, other = by_path["a/soma-dask/2k_1x1x1"], by_path["a/soma-dask/2k_1x1x1_other"]
    assert default == settings.common
    assert other == RunSettings(
        tiledb={"sm.a": "1", "sm.b": "16777216"},
        dask=DaskSettings(
            memory_management=True,
            library_threads=2,
            config={"distributed.comm.retry.count": 7, "distributed.comm.retry.delay.min": "1s"},
        ),
        environment={"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"},
        obs_columns=("tissue", "cell_type"),
    )
    assert by_path["a/soma-dask/2k_1x1x1_all"].obs_columns is None
    # Nothing that means nothing to a method is among its runs' settings, save threads, which it has too.
    assert by_path["a/in-memory/whole_other"].dask == DaskSettings(library_threads=2)
    assert settings.of(Run("a", "one-pass", 10, Parallelism(1, 1, 1))).obs_columns is None


def test_without_the_key_there_is_only_the_default(load):
    assert {run.variant for run in load().runs} == {"default"}
    assert {run.variant for run in load("variants: {}").runs} == {"default"}


def test_null_takes_a_variant_out_and_the_default_too(load):
    settings = load(VARIANTS, "variants: {default: null, all: null}\nexclude: [{variant: all}]")
    assert {run.variant for run in settings.runs} == {"other"}
    with pytest.raises(SomarayError, match="unknown variant 'all'"):
        settings.of(Run("a", "in-memory", variant="all"))


def test_the_name_of_a_file_of_secrets_is_no_secret(load):
    assert load("environment: {AWS_SHARED_CREDENTIALS_FILE: x}").common.environment == {
        "AWS_SHARED_CREDENTIALS_FILE": "x"
    }


def test_a_variant_that_a_later_file_names_is_that_file_s_alone(load):
    first = "variants: {default: {}, v: {tiledb: {a: 1}, only: [{dataset: b}]}, w: {tiledb: {b: 1}}}"
    settings = load(first, "variants: {v: {tiledb: {c: 2}}}")
    assert {run.variant for run in settings.runs} == {"default", "v", "w"}
    assert (settings.variants["v"].tiledb, settings.variants["w"].tiledb) == ({"c": "2"}, {"b": "1"})
    assert {run.variant for run in load(first, "variants: {v: {}}", "").runs} == {"default", "v", "w"}
    assert {run.variant for run in load(first, "variants: {v: null}").runs} == {"default", "w"}


def test_a_variant_that_the_command_line_changes_stays_as_merged(tmp_path):
    files = [tmp_path / "0.yaml", tmp_path / "1.yaml"]
    for path, text in zip(files, ("{v: {tiledb: {a: 1, b: 1}}}", "{v: {tiledb: {b: 2}}}"), strict=True):
        path.write_text(f"variants: {text}")
    config = {"variants": {"v": {"tiledb": {"a": 1, "b": 3}}}}
    keep_last_variants(config, files)
    assert config["variants"]["v"] == {"tiledb": {"a": 1, "b": 3}}


def test_where_workers_live_is_laid_over_by_variants_and_means_nothing_without_workers(load):
    settings = load("""
methods: [soma-dask, in-memory]
chunk_sizes: [2k]
parallelism: [2x1x1, 0x2x1]
dask: {cluster: slurm, slurm: {queue: long, memory: 4GiB, directives: [--exclusive]}}
variants:
  default: {}
  short: {dask: {slurm: {queue: short, walltime: 90m}}}
  there: {dask: {cluster: "tls://[fd00::1]:8786"}}
""")
    by_path = {run.path: settings.of(run).dask for run in settings.runs}
    slurm = SlurmSettings(queue="long", memory_bytes=4 * 2**30, directives=("--exclusive",))
    assert by_path["a/soma-dask/2k_2x1x1"] == DaskSettings(cluster="slurm", slurm=slurm)
    short = msgspec.structs.replace(slurm, queue="short", walltime_seconds=5400.0)
    assert by_path["a/soma-dask/2k_2x1x1_short"].slurm == short
    # What jobs would ask for is none of an address's affairs, nor is either of a run without worker processes.
    assert by_path["a/soma-dask/2k_2x1x1_there"] == DaskSettings(cluster="tls://[fd00::1]:8786")
    assert by_path["a/soma-dask/2k_0x2x1"] == by_path["a/in-memory/whole"] == DaskSettings()
