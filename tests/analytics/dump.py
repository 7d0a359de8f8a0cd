"""Reads a dump of events as others would: `dump.py arrow|spark PLACE`. Prints JSON.

PLACE is a folder, or a URI with all that it takes to read a bucket, as Arrow understands it."""

import json
import pathlib
import sys
import urllib.parse

SCHEMA = pathlib.Path(__file__).parents[2] / "src/analytics/dump/events.schema"


def documented():
    """The columns of the schema in the tree."""
    lines = SCHEMA.read_text().splitlines()[1:-1]
    return [line.strip().rstrip(";").split()[2].split("(")[0] for line in lines]


def arrow(folder):
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    data = ds.dataset(folder, format="parquet", partitioning="hive")
    table = data.to_table()
    assert table.column_names[: len(documented())] == documented(), table.column_names
    hour = data.to_table(filter=(ds.field("dt") == "2026-11-23") & (ds.field("hr") == 16))
    started = table.filter(pc.equal(table["type"], "call.started"))
    return {
        "events": table.num_rows,
        "ids": pc.count_distinct(table["id"]).as_py(),
        "hour": hour.num_rows,
        "calls": started.num_rows,
        "first": str(pc.min(table["time"]).as_py().isoformat()),
        "data": json.loads(started["data"][0].as_py()),
    }


def s3a(uri):
    """The same bucket for Spark, and the settings by which Hadoop's S3A reads it. `make test-spark`
    puts its jars into the environment."""
    at = urllib.parse.urlsplit(uri)
    query = dict(urllib.parse.parse_qsl(at.query))
    jars = sorted((pathlib.Path(sys.prefix) / "s3a").glob("*.jar"))
    settings = {
        "endpoint": f"{query['scheme']}://{query['endpoint_override']}",
        "endpoint.region": query["region"],
        "access.key": urllib.parse.unquote(at.username),
        "secret.key": urllib.parse.unquote(at.password),
        "path.style.access": "true",
        "input.stream.type": "classic",
    }
    found = {f"spark.hadoop.fs.s3a.{key}": value for key, value in settings.items()}
    return f"s3a://{at.hostname}/", {**found, "spark.jars": ",".join(map(str, jars))}


def spark(place):
    from pyspark.sql import SparkSession, functions as f

    folder, more = s3a(place) if place.startswith("s3:") else (place, {})
    builder = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
    )
    for key, value in more.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    table = session.read.parquet(folder)
    missing = set(documented()) - set(table.columns)
    assert not missing, missing
    first = table.agg(f.date_format(f.min("time"), "yyyy-MM-dd'T'HH:mm:ss")).first()[0]
    started = table.filter("type = 'call.started'")
    found = {
        "events": table.count(),
        "ids": table.select("id").distinct().count(),
        "hour": table.filter("dt = '2026-11-23' AND hr = 16").count(),
        "calls": started.count(),
        "first": first,
        "data": json.loads(started.first()["data"]),
    }
    session.stop()
    return found


print(json.dumps({"arrow": arrow, "spark": spark}[sys.argv[1]](sys.argv[2])))
