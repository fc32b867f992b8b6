//! The contract between command line, daemons and workers, over gRPC.
