"""The other side of PyIceberg.integration.test.ts: writes Parquet files, reads tables with PyIceberg, appends with PyIceberg.

    write <folder>             Parquet files with field ids below <folder>/data; prints what a writer says of them, as JSON
    read <metadata.json>       prints what PyIceberg finds, as JSON
    merge <json>               writes the rows of the Parquet files {"paths"} into {"folder"}/{"key"}; prints what a writer says of it
    evolved <metadata.json>    prints what PyIceberg finds after the columns were changed, as JSON
    append <metadata.json>     appends to the table with PyIceberg; prints the path of the new metadata file
"""

import datetime as dt
import decimal
import json
import os
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)


def field(i, name, kind, nullable=True):
    return pa.field(name, kind, nullable=nullable, metadata={"PARQUET:field_id": str(i)})


SCHEMA = pa.schema([
    field(1, "category", pa.string()),
    field(2, "total", pa.decimal128(12, 2)),
    field(3, "ts", pa.timestamp("us", tz="UTC")),
    field(4, "price", pa.float64()),
    field(5, "flag", pa.bool_()),
    field(6, "day", pa.date32()),
    field(7, "raw", pa.binary()),
    field(8, "__partition", pa.int32(), False),
    field(9, "__offset", pa.int64(), False),
    field(10, "__headers", pa.list_(field(12, "element", pa.struct([
        field(13, "key", pa.string(), False), field(14, "value", pa.binary())]), False)), False),
    field(11, "__arrived", pa.timestamp("us", tz="UTC"), False),
])


def row(partition, day, i):
    ts = EPOCH + dt.timedelta(days=day, milliseconds=i * 1000 + partition)
    return {
        "category": None if i % 10 == 9 else f"categorie-{partition}-é-{'long' * 5}-{i}",
        "total": decimal.Decimal(i * 7 - 300).scaleb(-2),
        "ts": ts,
        "price": (i - 50) / 4,
        "flag": i % 2 == 0,
        "day": (EPOCH + dt.timedelta(days=day)).date(),
        "raw": bytes([partition, i]) * 20,
        "__partition": partition,
        "__offset": day * 1000 + i,
        "__headers": [{"key": "k", "value": b"v"}] * (i % 3),
        "__arrived": EPOCH + dt.timedelta(days=day, hours=1),
    }


def memory(value):
    """A value as Headrace holds it in memory; bytes as a list."""
    if isinstance(value, decimal.Decimal):
        return int(value.scaleb(2))
    if isinstance(value, dt.datetime):
        return round((value - EPOCH).total_seconds() * 1000)
    if isinstance(value, dt.date):
        return (value - EPOCH.date()).days
    if isinstance(value, bytes):
        return list(value)
    return value


def describe(folder, key, rows):
    """Writes rows into a Parquet file, and gives what a writer says of it."""
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), f"{folder}/{key}", compression="snappy")
    meta = pq.read_metadata(f"{folder}/{key}")
    columns = []
    for f in SCHEMA:
        values = [r[f.name] for r in rows]
        present = [v for v in values if v is not None]
        i = int(f.metadata[b"PARQUET:field_id"])
        if f.name == "__headers":
            n = sum(max(1, len(v)) for v in values)
            columns += [{"fieldId": j, "compressedSize": 9, "valueCount": n, "nullCount": 0, "min": "k", "max": "k"} for j in (13, 14)]
            continue
        columns.append({
            "fieldId": i, "compressedSize": 9, "valueCount": len(values), "nullCount": len(values) - len(present),
            "min": memory(min(present)), "max": memory(max(present)),
        })
    return {
        "key": key,
        "summary": {"fileSize": os.path.getsize(f"{folder}/{key}"), "rowCount": len(rows),
                    "splitOffsets": [meta.row_group(0).column(0).dictionary_page_offset or 4], "columns": columns},
    }


def write(folder):
    out = []
    os.makedirs(f"{folder}/data")
    for day in range(20000, 20003):
        for partition in range(4):
            rows = [row(partition, day, i) for i in range(100)]
            made = describe(folder, f"data/{day}-{partition}.parquet", rows)
            out.append(dict(made, partition={"__partition": partition, "__arrived_day": day}))
    return out


def merge(text):
    options = json.loads(text)
    rows = [r for path in options["paths"] for r in pq.ParquetFile(path).read().to_pylist()]
    return describe(options["folder"], options["key"], rows)


def read(metadata):
    from pyiceberg.table import StaticTable

    table = StaticTable.from_metadata(metadata)

    def files(condition):
        return sorted(os.path.basename(t.file.file_path) for t in table.scan(row_filter=condition).plan_files())

    def rows(condition):
        return len(table.scan(row_filter=condition).to_arrow())

    all_rows = table.scan().to_arrow()
    inspected = table.inspect.files().to_pylist()
    first = min(inspected, key=lambda f: f["file_path"])
    history = [s["snapshot_id"] for s in table.inspect.history().to_pylist()]
    return {
        "rows": len(all_rows),
        "total": str(pc.sum(all_rows["total"]).as_py()),
        "headers": pc.sum(pc.list_value_length(all_rows["__headers"])).as_py(),
        "nulls": all_rows["category"].null_count,
        "files": len(inspected),
        "partitions": sorted([p["partition"]["__partition"], str(p["partition"]["__arrived_day"]), p["record_count"]]
                             for p in table.inspect.partitions().to_pylist()),
        "byPartition": files("__partition = 2"),
        "byDay": files("__arrived >= '2024-10-05T00:00:00+00:00'"),
        "byTimestamp": files("ts < '2024-10-04T00:00:10+00:00'"),
        "byOffset": files("__offset >= 20001050 and __offset < 20001060"),
        "byString": files(f"category = 'categorie-1-é-{'long' * 5}-7'"),
        "byDecimal": files("total < -3.00"),
        "byDouble": files("price > 12.25"),
        "byDate": files("day = '2024-10-05'"),
        "rowsByString": rows(f"category = 'categorie-1-é-{'long' * 5}-7'"),
        "rowsByTimestamp": rows("ts < '2024-10-04T00:00:10+00:00'"),
        "rowsByDecimal": rows("total = -3.00"),
        "bounds": {name: [str(m["lower_bound"]), str(m["upper_bound"])] for name, m in first["readable_metrics"].items()},
        "summaries": [dict(s.summary.additional_properties, operation=s.summary.operation.value) for s in table.snapshots()],
        "sequence": [s.sequence_number for s in table.snapshots()],
        "properties": table.properties,
        "history": [str(i) for i in history],
        "current": str(table.current_snapshot().snapshot_id),
        "main": str(table.refs()["main"].snapshot_id),
        "firstSnapshot": len(table.scan(snapshot_id=history[0]).to_arrow()),
        "manifests": len(table.inspect.manifests()),
        "spec": str(table.spec()),
        "schema": str(table.schema()),
        "refs": sorted(table.refs()),
    }


def evolved(metadata):
    from pyiceberg.table import StaticTable

    rows = StaticTable.from_metadata(metadata).scan().to_arrow()
    kinds = {"large_string": "string"}
    return {
        "rows": len(rows),
        "columns": rows.column_names,
        "types": [kinds.get(str(t), str(t)) for t in rows.schema.types],
        "nullFlags": rows["flag"].null_count,
        "total": str(pc.sum(rows["total"]).as_py()),
        "partition": str(rows.schema.field("__partition").type),
        "cost": [pc.min(rows["cost"]).as_py(), pc.max(rows["cost"]).as_py()],
    }


def append(metadata):
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("other", uri="sqlite:///:memory:", warehouse=os.path.dirname(metadata))
    catalog.create_namespace("n")
    table = catalog.register_table("n.t", metadata)
    table.append(pa.Table.from_pylist([row(1, 20003, i) for i in range(10)], SCHEMA))
    return table.metadata_location


command, argument = sys.argv[1:]
print(json.dumps({"write": write, "merge": merge, "read": read, "evolved": evolved, "append": append}[command](argument)))
