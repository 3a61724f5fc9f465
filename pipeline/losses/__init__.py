"""Losses: functions of tensors that know of no method, no network and no parameter file; each returns a scalar."""
