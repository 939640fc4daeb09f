"""Write the findings."""

from pathlib import Path

from somaray.console import script_log
from somaray.records import Allocations, Execution, Manifest, read_record
from somaray.report.findings import Records, find
from somaray.report.findings_document import findings_document

given = snakemake.input
with script_log(snakemake.log[0]):
    records = Records(
        manifests=[read_record(path, Manifest) for path in given.manifests],
        captures=[read_record(path, Execution) for path in given.captures],
        timings=[read_record(path, Execution) for path in given.timings],
        allocations=[read_record(path, Allocations) for path in given.allocations],
    )
    document = findings_document(find(records), [*records.captures, *records.timings])
    Path(snakemake.output[0]).write_text(document)
