"""Results: taken in order, once; kept in time partitions; asked for and watched."""
