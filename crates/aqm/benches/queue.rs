//! What a packet costs in the queue, and in the shaper: nanoseconds, each beside its target.

fn main() {}
