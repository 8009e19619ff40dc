"""What outlives a daemon: its lease, its journal and the state it committed last."""
