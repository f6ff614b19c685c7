//! The fleet service relais-central.
