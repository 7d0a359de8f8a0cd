//! Reads bits and Exp-Golomb codes out of a NAL unit, skipping emulation prevention bytes.

/// A NAL unit ends before what was asked for, or a code is longer than the standard allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the parameter set is cut short or malformed")]
pub struct Malformed;

/// Bits of a NAL unit, most significant first (ITU-T H.264, 7.2 and 9.1).
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Next byte to load.
    at: usize,
    current: u8,
    left: u32,
    zeros: u32,
}

// === impl BitReader ===

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, current: 0, left: 0, zeros: 0 }
    }

    pub fn bit(&mut self) -> Result<u32, Malformed> {
        if self.left == 0 {
            self.load()?;
        }
        self.left -= 1;
        Ok(u32::from(self.current >> self.left & 1))
    }

    pub fn flag(&mut self) -> Result<bool, Malformed> {
        Ok(self.bit()? == 1)
    }

    /// Up to 32 bits as an unsigned number.
    pub fn bits(&mut self, count: u32) -> Result<u32, Malformed> {
        (0..count).try_fold(0_u32, |value, _| Ok(value << 1 | self.bit()?))
    }

    /// ue(v)
    pub fn ue(&mut self) -> Result<u32, Malformed> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return Err(Malformed);
            }
        }
        Ok((1_u32 << zeros) - 1 + self.bits(zeros)?)
    }

    /// se(v)
    pub fn se(&mut self) -> Result<i32, Malformed> {
        let code = i64::from(self.ue()?);
        let value = if code % 2 == 0 { -(code / 2) } else { (code + 1) / 2 };
        i32::try_from(value).map_err(|_| Malformed)
    }

    fn load(&mut self) -> Result<(), Malformed> {
        let mut byte = *self.bytes.get(self.at).ok_or(Malformed)?;
        if self.zeros >= 2 && byte == 3 {
            self.at += 1;
            self.zeros = 0;
            byte = *self.bytes.get(self.at).ok_or(Malformed)?;
        }
        self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        self.at += 1;
        self.current = byte;
        self.left = 8;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_the_standard_lists_them() {
        // 1 | 010 | 011 | 00100 | 00101, then padding
        let mut reader = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| reader.ue().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut reader = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| reader.se().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn emulation_prevention_bytes_are_skipped() {
        let mut reader = BitReader::new(&[0, 0, 3, 1, 3]);
        assert_eq!(reader.bits(32), Ok(0x0000_0103));
        assert_eq!(reader.bit(), Err(Malformed));
    }

    #[test]
    fn an_endless_code_is_malformed() {
        assert_eq!(BitReader::new(&[0; 5]).ue(), Err(Malformed));
        assert_eq!(BitReader::new(&[0, 0, 3]).bits(24), Err(Malformed));
    }
}
