//! A document's key that SOPS has split among key groups: Shamir's scheme for each byte, over the field of
//! AES. The last byte of a share is its place.

use secrecy::zeroize::Zeroizing;

/// The key that shares make together, where these are enough of them and fit: `None` where they do not
/// fit, as two with one place.
pub(super) fn joined(shares: &[Zeroizing<Vec<u8>>]) -> Option<Zeroizing<Vec<u8>>> {
    let shares: Vec<(u8, &[u8])> = shares
        .iter()
        .map(|share| share.split_last().map(|(at, share)| (*at, share)))
        .collect::<Option<_>>()?;
    let length = shares.first()?.1.len();
    let is_same = |share: &[u8]| share.len() == length;
    if !shares.iter().all(|(at, share)| *at != 0 && is_same(share)) {
        return None;
    }
    let mut key = Zeroizing::new(vec![0; length]);
    for (at, share) in &shares {
        let weight = weight(*at, shares.iter().map(|(at, _)| *at))?;
        for (byte, of_share) in key.iter_mut().zip(*share) {
            *byte ^= product(*of_share, weight);
        }
    }
    Some(key)
}

/// What a share counts for at zero, among those at these places.
fn weight(at: u8, places: impl Iterator<Item = u8>) -> Option<u8> {
    let mut weight = 1;
    let mut own = 0;
    for other in places {
        match other ^ at {
            0 => own += 1,
            distance => weight = product(weight, product(other, inverse(distance))),
        }
    }
    (own == 1).then_some(weight)
}

/// Takes as long for any two bytes.
fn product(mut one: u8, mut other: u8) -> u8 {
    let mut product = 0;
    for _ in 0..8 {
        product ^= one & 0u8.wrapping_sub(other & 1);
        one = (one << 1) ^ (0x1b & 0u8.wrapping_sub(one >> 7));
        other >>= 1;
    }
    product
}

/// A byte to the power of 254.
fn inverse(byte: u8) -> u8 {
    let mut power = byte;
    for _ in 0..6 {
        power = product(product(power, power), byte);
    }
    product(power, power)
}

#[cfg(test)]
mod tests {
    use secrecy::zeroize::Zeroizing;

    use super::{inverse, joined, product};

    fn shares(shares: &[&[u8]]) -> Option<Vec<u8>> {
        let shares: Vec<_> = shares.iter().map(|share| Zeroizing::new(share.to_vec())).collect();
        joined(&shares).map(|key| key.to_vec())
    }

    #[test]
    fn bytes_are_multiplied_as_in_the_field_of_aes() {
        // FIPS 197, section 4.2.
        assert_eq!(product(0x57, 0x83), 0xc1);
        assert_eq!(product(0x57, 0x13), 0xfe);
        assert!((1..=255).all(|byte| product(byte, inverse(byte)) == 1));
    }

    /// Of the polynomial 42 + 7x + 3x².
    #[test]
    fn any_shares_that_are_enough_make_the_key() {
        let at = |x: u8| [42 ^ product(7, x) ^ product(3, product(x, x)), x];
        let (one, two, three, four) = (at(1), at(200), at(3), at(255));
        for three in [[&one, &two, &three], [&four, &two, &one], [&three, &four, &two]] {
            assert_eq!(shares(&three.map(|share| &share[..])), Some(vec![42]));
        }
        assert_eq!(shares(&[&one, &two, &three, &four]), Some(vec![42]));
        assert_ne!(shares(&[&one, &two]), Some(vec![42]));
    }

    #[test]
    fn shares_that_do_not_fit_make_none() {
        for unfit in [&[&[1, 2][..], &[3, 2]][..], &[&[1, 2], &[3, 3, 3]], &[&[1, 0]], &[&[]], &[]]
        {
            assert_eq!(shares(unfit), None, "{unfit:?}");
        }
    }
}
