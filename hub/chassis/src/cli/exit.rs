//! Exit codes. They are public: scripts and service managers rely on them. 0 is success.

/// It did not work.
pub const FAILED: u8 = 1;

/// The arguments make no sense.
pub const USAGE: u8 = 2;

/// Nobody is signed in, or who is may not do this.
pub const SIGN_IN: u8 = 4;

/// Somebody else has changed it meanwhile.
pub const CONFLICT: u8 = 5;

/// What was waited for did not happen in time.
pub const WAIT_TIMEOUT: u8 = 6;

/// The other side is not there.
pub const UNREACHABLE: u8 = 7;

/// Some of it worked.
pub const PARTLY_FAILED: u8 = 8;

/// A check found problems.
pub const PROBLEMS_FOUND: u8 = 9;

/// A daemon does not start because its configuration is wrong: a restart would not help, and the service manager does
/// not try.
pub const WRONG_CONFIGURATION: u8 = 78;
