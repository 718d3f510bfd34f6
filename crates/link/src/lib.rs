//! Projects the shape of a module and links code blobs into an artifact
