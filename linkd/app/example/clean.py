import linkd

for snap in linkd.connect().snapshots():
    with snap:  # one atomic commit; an exception takes nothing and loses nothing
        df = snap["flights"].to_pandas()
        snap.publish("flown", df[df.dep_time.notna()])
        snap.publish("cancelled", df[df.dep_time.isna()])
