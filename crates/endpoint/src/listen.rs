//! Listening: each policy says which families, none leaves it to the system.
