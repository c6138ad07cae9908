"""What must never go wrong: faults and the measurements that reveal them."""
