//! Who is who on the way north: pinned roots, fingerprints, private keys, certificates.
