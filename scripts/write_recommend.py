"""Write what to use in how much memory."""

from pathlib import Path

from somaray.console import script_log
from somaray.report.gathered import gather
from somaray.report.recommend import recommend
from somaray.report.recommend_document import recommend_markdown

with script_log(snakemake.log[0]):
    gathered = gather(snakemake.input)
    text = recommend_markdown(recommend(gathered), gathered, runs_href="../hvg")
    Path(snakemake.output[0]).write_text(text)
