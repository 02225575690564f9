package vectors;

import java.util.ArrayList;
import java.util.List;

/** All topologies that are recorded. */
final class Catalogue {
    private Catalogue() {
    }

    static List<Scenario> all() {
        List<Scenario> all = new ArrayList<>();
        all.addAll(Stateless.all());
        all.addAll(Aggregates.all());
        all.addAll(Tables.all());
        all.addAll(TableAggregates.all());
        all.addAll(TableJoins.all());
        all.addAll(ForeignKeyJoins.all());
        all.addAll(TimeWindowed.all());
        all.addAll(SlidingWindowed.all());
        all.addAll(SessionWindowed.all());
        all.addAll(Cogrouped.all());
        all.addAll(SuppressedTables.all());
        all.addAll(StreamJoins.all());
        all.addAll(StreamTableJoins.all());
        all.addAll(VersionedTables.all());
        all.addAll(Processors.all());
        all.addAll(WithHeaders.all());
        all.addAll(OperatorTimes.all());
        all.addAll(Written.all());
        all.addAll(Drawn.all());
        return all;
    }
}
