"""PyIceberg reads the archive of the flights: `archive_reader.py <metadata.json>` prints rows, sums and offset ranges as JSON."""

import json
import sys

import pyarrow.compute as pc
from pyiceberg.table import StaticTable

table = StaticTable.from_metadata(sys.argv[1])
rows = table.scan(selected_fields=("date", "delay", "distance", "__partition", "__offset", "__kind")).to_arrow()
partitions = rows.group_by("__partition").aggregate([("__offset", "min"), ("__offset", "max"), ("__offset", "count_distinct")])
print(json.dumps({
    "rows": rows.num_rows,
    "decoded": pc.sum(pc.equal(rows["__kind"], "decoded")).as_py(),
    "sums": {
        "date": pc.sum(pc.divide(rows["date"].cast("int64"), 1000)).as_py(),
        "delay": pc.sum(rows["delay"]).as_py(),
        "distance": pc.sum(rows["distance"]).as_py(),
    },
    "partitions": {
        str(p["__partition"]): {"begin": p["__offset_min"], "end": p["__offset_max"] + 1, "records": p["__offset_count_distinct"]}
        for p in partitions.to_pylist()
    },
}))
