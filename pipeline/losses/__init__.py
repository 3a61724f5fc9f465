"""Losses: functions of tensors that do not depend on a method, network or parameter file; each returns a scalar."""
