"""What the product is tried with: a simulated engine, the demonstration, the benchmarks. No product room imports it;
it is in the wheel so that ``watchtower demo`` and ``watchtower bench`` run from an install."""
