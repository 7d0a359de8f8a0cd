//! A stroke font: letters as pen strokes, so that they are crisp at every size without a font
//! file.
//!
//! Points are two digits in base 36, x then y. The baseline is at 4, small letters reach to 12,
//! capitals to 16, tails to 0. Strokes are separated by spaces; one that begins with `~` is a
//! smooth curve through its points, any other is straight from point to point.

/// Where letters stand.
pub const BASELINE: f32 = 4.0;
/// From the baseline to the top of a capital.
pub const CAP_HEIGHT: f32 = 12.0;
/// Between two letters.
pub const SPACING: f32 = 3.4;

/// Pieces of a curve between two of its points.
const SMOOTHNESS: usize = 8;

pub struct Glyph {
    pub width: f32,
    /// Each a run of points with straight lines between them.
    pub strokes: Vec<Vec<(f32, f32)>>,
}

/// The letter, or a dot where the font has none.
pub fn glyph(c: char) -> Glyph {
    let known = GLYPHS.iter().find(|(name, ..)| *name == plain(c));
    let (_, width, strokes) = known.copied().unwrap_or(('\u{b7}', 0, "0909"));
    let strokes = strokes.split_whitespace().map(points).collect();
    Glyph { width: width as f32, strokes }
}

/// Latin letters without their marks.
fn plain(c: char) -> char {
    match c {
        'À'..='Å' => 'A',
        'Ç' => 'C',
        'È'..='Ë' => 'E',
        'Ì'..='Ï' => 'I',
        'Ñ' => 'N',
        'Ò'..='Ö' | 'Ø' => 'O',
        'Ù'..='Ü' => 'U',
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' | 'ø' => 'o',
        'ù'..='ü' => 'u',
        _ => c,
    }
}

fn points(stroke: &str) -> Vec<(f32, f32)> {
    let (smooth, digits) = match stroke.strip_prefix('~') {
        Some(digits) => (true, digits),
        None => (false, stroke),
    };
    let digit = |byte: u8| char::from(byte).to_digit(36).unwrap_or(0) as f32;
    let points: Vec<(f32, f32)> =
        digits.as_bytes().chunks_exact(2).map(|pair| (digit(pair[0]), digit(pair[1]))).collect();
    if smooth { curve(&points) } else { points }
}

/// Catmull and Rom's spline through the points; closed where the last is the first.
fn curve(points: &[(f32, f32)]) -> Vec<(f32, f32)> {
    let count = points.len();
    let closed = count > 2 && points[0] == points[count - 1];
    let at = |index: isize| {
        let last = count as isize - 1;
        let index = if closed { index.rem_euclid(last) } else { index.clamp(0, last) };
        points[index as usize]
    };
    let mut line = vec![points[0]];
    for segment in 0..count as isize - 1 {
        let (a, b) = (at(segment - 1), at(segment));
        let (c, d) = (at(segment + 1), at(segment + 2));
        for step in 1..=SMOOTHNESS {
            let t = step as f32 / SMOOTHNESS as f32;
            let along = |a: f32, b: f32, c: f32, d: f32| {
                b + 0.5
                    * t
                    * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
            };
            line.push((along(a.0, b.0, c.0, d.0), along(a.1, b.1, c.1, d.1)));
        }
    }
    line
}

#[rustfmt::skip]
const GLYPHS: &[(char, u8, &str)] = &[
    (' ', 4, ""),
    ('A', 10, "045ga4 2888"),
    ('B', 8, "4g0g0444 0a4a ~4g7f8d7b4a ~4a79877544"),
    ('C', 10, "~ad8f5g2f0c08255485a7"),
    ('D', 10, "4g0g0444 ~4g8faca88544"),
    ('E', 8, "8g0g0484 0a6a"),
    ('F', 8, "8g0g04 0a6a"),
    ('G', 10, "~ad8f5g2f0c08255485a8 6aaaa8"),
    ('H', 10, "040g a4ag 0aaa"),
    ('I', 0, "040g"),
    ('J', 6, "6g67 ~6755341507"),
    ('K', 8, "040g 8g09 2b84"),
    ('L', 7, "0g0474"),
    ('M', 12, "040g68cgc4"),
    ('N', 10, "040ga4ag"),
    ('O', 12, "~6g9fbdcab7956435170a1d3f6g"),
    ('P', 8, "040g4g 0a4a ~4g7f8d7b4a"),
    ('Q', 12, "~6g9fbdcab7956435170a1d3f6g 87c3"),
    ('R', 8, "040g4g 0a4a ~4g7f8d7b4a 4a84"),
    ('S', 8, "~8e7f4g1f0d1b4a798775441506"),
    ('T', 10, "0gag 5g54"),
    ('U', 10, "0g08 ~08255485a8 a8ag"),
    ('V', 10, "0g54ag"),
    ('W', 14, "0g447ea4eg"),
    ('X', 10, "0ga4 04ag"),
    ('Y', 10, "0g5aag 5a54"),
    ('Z', 9, "0g9g0494"),
    ('a', 8, "~4c7b88754415081b4c 8c84"),
    ('b', 8, "0g04 ~4c7b88754415081b4c"),
    ('c', 7, "~7a6b4c1b0815446576"),
    ('d', 8, "8g84 ~4c7b88754415081b4c"),
    ('e', 8, "0888 ~887b4c1b08154475"),
    ('f', 5, "~5g3g2e 2e24 0c5c"),
    ('g', 8, "~4c7b88754415081b4c 8c83 ~83714011"),
    ('h', 8, "0g04 ~092b4c7b89 8984"),
    ('i', 0, "0c04 0f0g"),
    ('j', 2, "2c22 ~221100 2f2g"),
    ('k', 7, "0g04 7c08 3a74"),
    ('l', 0, "0g04"),
    ('m', 12, "0c04 ~091b3c5b69 6964 ~697b9cbbc9 c9c4"),
    ('n', 8, "0c04 ~092b4c7b89 8984"),
    ('o', 8, "~4c7b88754415081b4c"),
    ('p', 8, "0c00 ~4c7b88754415081b4c"),
    ('q', 8, "8c80 ~4c7b88754415081b4c"),
    ('r', 5, "0c04 ~092b5c"),
    ('s', 6, "~6b3c0a38663405"),
    ('t', 5, "2g26 ~263454 0c5c"),
    ('u', 8, "0c07 ~0715447587 8c84"),
    ('v', 8, "0c448c"),
    ('w', 12, "0c346b94cc"),
    ('x', 8, "0c84 048c"),
    ('y', 8, "0c44 8c20"),
    ('z', 7, "0c7c0474"),
    ('0', 8, "~4g7e8a7644160a1e4g"),
    ('1', 4, "0d3g34"),
    ('2', 8, "~0d1f4g7f8d7b 7b0484"),
    ('3', 8, "~0e4g7f8d7b4a ~4a798775441506"),
    ('4', 8, "6g0888 6g64"),
    ('5', 8, "8g1g0a ~0a4b7a8875441506"),
    ('6', 8, "~7f4g1d08154475887a4b1a08"),
    ('7', 8, "0g8g34"),
    ('8', 8, "~4g7f7b4a1b1f4g ~4a798775441507194a"),
    ('9', 8, "~1544778c7f4g1f0c1a497a8c"),
    ('-', 6, "0969"),
    ('_', 8, "0282"),
    ('.', 0, "0404"),
    (',', 1, "1402"),
    (':', 0, "0404 0b0b"),
    ('/', 6, "026g"),
    ('\'', 0, "0g0d"),
    ('!', 0, "0g08 0404"),
    ('?', 7, "~0e3g7e4b48 4444"),
    ('(', 3, "~3g0d0733"),
    (')', 3, "~0g3d3703"),
    ('+', 8, "0888 4c44"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_and_digit_stays_within_its_box() {
        for c in ('a'..='z').chain('A'..='Z').chain('0'..='9') {
            let glyph = glyph(c);
            assert!(!glyph.strokes.is_empty(), "{c}");
            for (x, y) in glyph.strokes.into_iter().flatten() {
                assert!((-1.0..=glyph.width + 1.0).contains(&x), "{c}: x {x}");
                assert!((-1.0..=17.0).contains(&y), "{c}: y {y}");
            }
        }
    }

    #[test]
    fn what_the_font_lacks_is_a_dot_and_marks_are_left_off() {
        assert_eq!(glyph('漢').strokes, [[(0.0, 9.0), (0.0, 9.0)]]);
        assert_eq!(glyph('é').strokes, glyph('e').strokes);
    }
}
