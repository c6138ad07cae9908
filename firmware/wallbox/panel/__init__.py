"""What the front panel shows and sounds; it reads the snapshot and changes nothing else."""
