//! H.264 parameter sets and slices, as far as WebRTC cares (ITU-T H.264, 7.3.2.1 and E.1).

use stentor_protocol::units::Resolution;

use super::bits::{BitReader, Malformed};

/// NAL unit types used here (table 7-1).
pub const NAL_SLICE: u8 = 1;
pub const NAL_IDR: u8 = 5;
pub const NAL_SPS: u8 = 7;

/// Pictures without a B slice after which a stream that doesn't say is taken to have none.
pub const PROOF_PICTURES: u32 = 60;

/// What a sequence parameter set says that matters to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    pub profile_idc: u8,
    pub constraints: u8,
    pub level_idc: u8,
    /// After cropping.
    pub resolution: Resolution,
    /// 1 is 4:2:0.
    pub chroma_format_idc: u32,
    pub bit_depth: u32,
    /// Coded as whole frames, never as fields.
    pub frames_only: bool,
    pub poc_type: u32,
    /// Pictures that may precede another in decoding and follow it in display; None where the
    /// stream doesn't say.
    pub max_reorder: Option<u32>,
}

/// Whether a WebRTC receiver can be given the stream as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    Fit,
    /// Nothing speaks against it, but the stream doesn't promise to be free of B-frames.
    Unproven,
    Unfit,
}

/// The kind of a slice, by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceKind {
    P,
    B,
    I,
}

/// Decides from the parameter set and what was seen since it came.
pub fn fitness(sps: &Sps, b_slice_seen: bool, pictures_seen: u32) -> Fitness {
    let decodable = matches!(sps.profile_idc, 66 | 77 | 100)
        && sps.chroma_format_idc == 1
        && sps.bit_depth == 8
        && sps.frames_only;
    if !decodable || b_slice_seen || sps.max_reorder.is_some_and(|pictures| pictures > 0) {
        return Fitness::Unfit;
    }
    if sps.promises_order() || pictures_seen >= PROOF_PICTURES {
        Fitness::Fit
    } else {
        Fitness::Unproven
    }
}

/// The kind of a coded slice's NAL unit (types 1 and 5).
pub fn slice_kind(nal: &[u8]) -> Result<SliceKind, Malformed> {
    let mut reader = BitReader::new(nal.get(1..).ok_or(Malformed)?);
    reader.ue()?; // first_mb_in_slice
    match reader.ue()? % 5 {
        1 => Ok(SliceKind::B),
        2 | 4 => Ok(SliceKind::I),
        _ => Ok(SliceKind::P),
    }
}

pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |b| b & 0x1f)
}

// === impl Sps ===

impl Sps {
    /// Parses an SPS NAL unit, its header byte included.
    pub fn parse(nal: &[u8]) -> Result<Self, Malformed> {
        if nal_type(nal) != NAL_SPS {
            return Err(Malformed);
        }
        let r = &mut BitReader::new(&nal[1..]);
        let profile_idc = r.bits(8)? as u8;
        let constraints = r.bits(8)? as u8;
        let level_idc = r.bits(8)? as u8;
        r.ue()?; // seq_parameter_set_id
        let (chroma_format_idc, bit_depth) =
            if has_chroma_info(profile_idc) { chroma_info(r)? } else { (1, 8) };
        r.ue()?; // log2_max_frame_num_minus4
        let poc_type = r.ue()?;
        skip_poc(r, poc_type)?;
        r.ue()?; // max_num_ref_frames
        r.bit()?; // gaps_in_frame_num_value_allowed_flag
        let width_mbs = side(r.ue()?)?;
        let height_units = side(r.ue()?)?;
        let frames_only = r.flag()?;
        if !frames_only {
            r.bit()?; // mb_adaptive_frame_field_flag
        }
        r.bit()?; // direct_8x8_inference_flag
        let fields = if frames_only { 1 } else { 2 };
        let resolution =
            crop(r, chroma_format_idc, fields, width_mbs * 16, height_units * 16 * fields)?;
        // A VUI cut short is common in cameras and no reason to refuse the rest.
        let max_reorder = if r.flag()? { max_reorder(r).unwrap_or(None) } else { None };
        Ok(Self {
            profile_idc,
            constraints,
            level_idc,
            resolution,
            chroma_format_idc,
            bit_depth,
            frames_only,
            poc_type,
            max_reorder,
        })
    }

    /// Whether pictures can't be shown in another order than they come in.
    pub fn promises_order(&self) -> bool {
        self.profile_idc == 66 || self.poc_type == 2 || self.max_reorder == Some(0)
    }

    /// As in SDP (RFC 6184, 8.1): six hexadecimal digits.
    pub fn profile_level_id(&self) -> String {
        format!("{:02x}{:02x}{:02x}", self.profile_idc, self.constraints, self.level_idc)
    }
}

fn has_chroma_info(profile_idc: u8) -> bool {
    matches!(profile_idc, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

fn chroma_info(r: &mut BitReader<'_>) -> Result<(u32, u32), Malformed> {
    let chroma_format_idc = r.ue()?;
    if chroma_format_idc > 3 {
        return Err(Malformed);
    }
    if chroma_format_idc == 3 {
        r.bit()?; // separate_colour_plane_flag
    }
    let luma = r.ue()?;
    let chroma = r.ue()?;
    if luma > 6 || chroma > 6 {
        return Err(Malformed);
    }
    r.bit()?; // qpprime_y_zero_transform_bypass_flag
    if r.flag()? {
        let lists = if chroma_format_idc == 3 { 12 } else { 8 };
        for list in 0..lists {
            if r.flag()? {
                skip_scaling_list(r, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok((chroma_format_idc, 8 + luma.max(chroma)))
}

fn skip_scaling_list(r: &mut BitReader<'_>, size: u32) -> Result<(), Malformed> {
    let (mut last, mut next) = (8_i32, 8_i32);
    for _ in 0..size {
        if next != 0 {
            next = (last.wrapping_add(r.se()?)).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

fn skip_poc(r: &mut BitReader<'_>, poc_type: u32) -> Result<(), Malformed> {
    match poc_type {
        0 => {
            r.ue()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            r.bit()?; // delta_pic_order_always_zero_flag
            r.se()?;
            r.se()?;
            let count = r.ue()?;
            if count > 255 {
                return Err(Malformed);
            }
            for _ in 0..count {
                r.se()?;
            }
        }
        2 => {}
        _ => return Err(Malformed),
    }
    Ok(())
}

/// Macroblocks of a side; 1024 of them are the most any level allows.
fn side(minus_one: u32) -> Result<u32, Malformed> {
    if minus_one < 1024 { Ok(minus_one + 1) } else { Err(Malformed) }
}

fn crop(
    r: &mut BitReader<'_>,
    chroma_format_idc: u32,
    fields: u32,
    width: u32,
    height: u32,
) -> Result<Resolution, Malformed> {
    if !r.flag()? {
        return Ok(Resolution::new(width, height));
    }
    let (unit_x, unit_y) = match chroma_format_idc {
        1 => (2, 2 * fields),
        2 => (2, fields),
        _ => (1, fields),
    };
    let mut edges = [0_u32; 4];
    for edge in &mut edges {
        *edge = r.ue()?;
    }
    let [left, right, top, bottom] = edges.map(u64::from);
    let cut = |whole: u32, cut: u64, unit: u32| {
        u64::from(whole)
            .checked_sub(cut * u64::from(unit))
            .filter(|&rest| rest > 0)
            .map(|rest| rest as u32)
            .ok_or(Malformed)
    };
    Ok(Resolution::new(cut(width, left + right, unit_x)?, cut(height, top + bottom, unit_y)?))
}

/// The VUI's `max_num_reorder_frames`, where it has a bitstream restriction.
fn max_reorder(r: &mut BitReader<'_>) -> Result<Option<u32>, Malformed> {
    if r.flag()? && r.bits(8)? == 255 {
        r.bits(32)?; // sample aspect ratio
    }
    if r.flag()? {
        r.bit()?; // overscan_appropriate_flag
    }
    if r.flag()? {
        r.bits(4)?; // video_format, video_full_range_flag
        if r.flag()? {
            r.bits(24)?; // colour description
        }
    }
    if r.flag()? {
        r.ue()?; // chroma sample locations
        r.ue()?;
    }
    if r.flag()? {
        r.bits(32)?; // num_units_in_tick
        r.bits(32)?; // time_scale
        r.bit()?; // fixed_frame_rate_flag
    }
    let nal_hrd = r.flag()?;
    if nal_hrd {
        skip_hrd(r)?;
    }
    let vcl_hrd = r.flag()?;
    if vcl_hrd {
        skip_hrd(r)?;
    }
    if nal_hrd || vcl_hrd {
        r.bit()?; // low_delay_hrd_flag
    }
    r.bit()?; // pic_struct_present_flag
    if !r.flag()? {
        return Ok(None);
    }
    r.bit()?; // motion_vectors_over_pic_boundaries_flag
    for _ in 0..4 {
        r.ue()?; // denominators, motion vector lengths
    }
    Ok(Some(r.ue()?))
}

fn skip_hrd(r: &mut BitReader<'_>) -> Result<(), Malformed> {
    let count = r.ue()?;
    if count > 31 {
        return Err(Malformed);
    }
    r.bits(8)?; // scales
    for _ in 0..=count {
        r.ue()?;
        r.ue()?;
        r.bit()?;
    }
    r.bits(20)?; // lengths
    Ok(())
}

#[cfg(test)]
mod tests;
