"""Energy: the external meter, and what its readings allow the car to draw."""
