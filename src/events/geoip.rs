//! Country and city of an address, from a MaxMind database (such as GeoLite2 City) on disk.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{MaxMindDbError, Reader, geoip2};

use super::kinds::Location;

/// A database, held in memory. Read once: a newer one takes a restart.
pub struct GeoIp(Reader<Vec<u8>>);

/// Why there is no database. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum GeoIpError {
    #[error("{}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{}: no database of addresses: {error}", path.display())]
    Format { path: PathBuf, error: MaxMindDbError },
}

/// Characters of a city's name.
const MAX_NAME: usize = 100;

// === impl GeoIp ===

impl GeoIp {
    pub fn open(path: &Path) -> Result<Self, GeoIpError> {
        let at = || path.to_owned();
        let bytes = std::fs::read(path).map_err(|error| GeoIpError::Read { path: at(), error })?;
        let reader = Reader::from_source(bytes);
        reader.map(Self).map_err(|error| GeoIpError::Format { path: at(), error })
    }

    /// None: the database doesn't say.
    pub fn find(&self, address: IpAddr) -> Option<Location> {
        let city = self.look_up(address)?;
        let country = city.country.iso_code?;
        if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let city = city.city.names.english.map(|name| name.chars().take(MAX_NAME).collect());
        Some(Location { country: country.to_owned(), city })
    }

    /// In degrees north and east; within a country, some hundred kilometres off.
    pub fn coordinates(&self, address: IpAddr) -> Option<(f64, f64)> {
        let location = self.look_up(address)?.location;
        let (north, east) = (location.latitude?, location.longitude?);
        let is_place = (-90.0..=90.0).contains(&north) && (-180.0..=180.0).contains(&east);
        is_place.then_some((north, east))
    }

    fn look_up(&self, address: IpAddr) -> Option<geoip2::City<'_>> {
        self.0.lookup(address.to_canonical()).ok()?.decode().ok()?
    }
}
