//! Access lists that keep the families apart.
