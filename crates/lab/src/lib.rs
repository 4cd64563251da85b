//! Networks declared in Rust and run in namespaces.
