//! When something was: on the hub's own monotonic clock, or as the device said.

use std::fmt;
use std::str::FromStr;

/// Milliseconds since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcMs(pub i64);

/// One run of the machine, as the kernel names it (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId([u8; 16]);

impl BootId {
    /// The boot of these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        BootId(bytes)
    }

    /// The 16 bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// The kernel's form: `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BootId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits: Vec<u32> =
            text.chars().filter(|&c| c != '-').map(|c| c.to_digit(16).ok_or(())).collect::<Result<_, _>>()?;
        if digits.len() != 32 {
            return Err(());
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::try_from(pair[0] * 16 + pair[1]).map_err(|_| ())?;
        }
        Ok(BootId(bytes))
    }
}

/// A moment of one boot: milliseconds of CLOCK_BOOTTIME, which counts through suspend and is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootStamp {
    /// Which run of the machine.
    pub boot: BootId,
    /// Milliseconds since that run began.
    pub mono_ms: u64,
}

/// Who stated a wall time. Numbers are on disk and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum WallSource {
    /// The device put the time into its message.
    Device = 1,
}

impl WallSource {
    /// The source of a fixed number.
    pub const fn from_number(number: u8) -> Option<WallSource> {
        match number {
            1 => Some(WallSource::Device),
            _ => None,
        }
    }
}

/// When a sample was taken. Resolution 1 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Observed by the hub: resolved to wall time on read, through the clock records.
    Boot(BootStamp),
    /// Stated by the device: taken as it is.
    Wall(UtcMs, WallSource),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_id_reads_as_the_kernel_writes_it() {
        let text = "6fd5f1f2-4d3a-4a6e-9b7f-00112233aabb";
        let boot: BootId = text.parse().unwrap();
        assert_eq!(boot.to_string(), text);
        assert_eq!(BootId::from_bytes(boot.to_bytes()), boot);
        for wrong in
            ["", "6fd5f1f2", "6fd5f1f2-4d3a-4a6e-9b7f-00112233aabbcc", "gfd5f1f2-4d3a-4a6e-9b7f-00112233aabb"]
        {
            assert_eq!(wrong.parse::<BootId>(), Err(()));
        }
    }
}
