//! relais, the operator's command line.
