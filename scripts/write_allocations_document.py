"""Write the document of top allocations."""

from pathlib import Path

from somaray.allocations.foreign import read_foreign
from somaray.allocations.native_record import NativeAllocations
from somaray.console import script_log
from somaray.records import Allocations, Execution, read_record
from somaray.report.allocations_document import allocations_document

given = snakemake.input
with script_log(snakemake.log[0]):
    document = allocations_document(
        captures=[read_record(path, Execution) for path in given.captures],
        allocations=[read_record(path, Allocations) for path in given.allocations],
        natives=[read_record(path, NativeAllocations) for path in given.natives],
        imported=[read_foreign(path) for path in given.imported],
        plots="plots",
        replays="hvg" if snakemake.params.replay else None,
    )
    Path(snakemake.output[0]).write_text(document)
