//! What is prepared for a floor, so that it has nothing to parse: fields, each with its length before it.

pub(crate) fn put(file: &mut Vec<u8>, field: &[u8]) {
    file.extend((field.len() as u32).to_le_bytes());
    file.extend(field);
}

/// Takes the next field; `None` at the end.
pub(crate) fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (field, after) = after.split_at(u32::from_le_bytes(*length) as usize);
    *rest = after;
    Some(field)
}
