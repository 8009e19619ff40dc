"""What was read of GPUs, understood. Pure: text and values in, reports and answers out; no clock, no loop."""
