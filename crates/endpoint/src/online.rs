//! Whether a family reaches the world.
