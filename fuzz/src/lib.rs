//! Fuzz targets as plain functions, so that `make test` can replay their corpus.
