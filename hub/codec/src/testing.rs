//! What the tests of several modules are made of.

/// Numbers below `end` without a pattern, the same every time.
pub(crate) fn noise(count: usize, end: u64) -> impl Iterator<Item = i64> {
    let mut state = 88_172_645_463_325_252u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % end).cast_signed()
    })
    .take(count)
}
