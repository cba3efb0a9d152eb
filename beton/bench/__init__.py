"""Measurements that anybody can repeat: speed and memory of the engine beside what one would write by hand, on data made here."""
