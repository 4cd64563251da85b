//! Who talks most, in fixed memory.
