//! The one declaration of every setting: name, default, unit, range and what it is for.
//!
//! [`settings!`] turns a declaration into a struct that reads from the configuration, its defaults,
//! its check, and the descriptions from which help and reference are made.

/// One setting as declared.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key in its section of the configuration.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Unit, empty for a plain number.
    pub unit: &'static str,
    /// Default.
    pub default: i64,
    /// Smallest value allowed.
    pub least: i64,
    /// Largest value allowed.
    pub most: i64,
    /// It is true or false, and not a number.
    pub is_switch: bool,
}

/// Declares a section of whole-number settings.
///
/// ```
/// model::settings! {
///     /// Bounds of a cache.
///     pub struct CacheSettings in "cache" {
///         /// Entries kept.
///         entries: usize = 1_000, "entries", 1..=65_536;
///     }
/// }
/// assert_eq!(CacheSettings::default().entries, 1_000);
/// assert!(CacheSettings { entries: 0 }.check().is_err());
/// ```
#[macro_export]
macro_rules! settings {
    ($(#[doc = $struct_doc:literal])+ pub struct $name:ident in $section:literal {
        $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $default:expr, $unit:literal, $least:literal..=$most:expr;)+
    }) => {
        $(#[doc = $struct_doc])+
        #[derive(Clone, Debug, PartialEq, Eq, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $type,)+ }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            /// Its section of the configuration.
            pub const SECTION: &'static str = $section;

            /// Its settings as declared.
            pub const SETTINGS: &'static [$crate::settings::Setting] = &[$($crate::settings::Setting {
                name: stringify!($field),
                doc: concat!($($doc),+),
                unit: $unit,
                default: $default as i64,
                least: $least as i64,
                most: $most as i64,
                is_switch: matches!(stringify!($type).as_bytes(), b"bool"),
            },)+];

            /// Says which setting is out of its range, and how to mend it.
            ///
            /// # Errors
            ///
            /// One sentence that names section, key, value and range.
            pub fn check(&self) -> Result<(), String> {
                $(if (self.$field as i128) < $least || (self.$field as i128) > $most {
                    return Err(format!(
                        "[{}] {} = {} is out of range: give {} to {} {}",
                        $section, stringify!($field), self.$field, $least, $most, $unit
                    ));
                })+
                Ok(())
            }
        }
    };
}
