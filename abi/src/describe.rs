//! Descriptions of the shared structures, from which the C header is generated.

/// A field of a shared structure.
#[derive(Debug)]
pub struct Field {
    /// Name in Rust and in C.
    pub name: &'static str,
    /// Rust type as written, for example `u32` or `[Arg; ARGS]`.
    pub ty: &'static str,
    /// Bytes from the start of the structure.
    pub offset: usize,
    /// Bytes it takes.
    pub size: usize,
    /// Lines of its documentation.
    pub docs: &'static [&'static str],
}

/// A structure that crosses a boundary.
#[derive(Debug)]
pub struct Struct {
    /// Name in Rust; `struct ant_<snake_case>` in C.
    pub name: &'static str,
    /// Bytes it takes.
    pub size: usize,
    /// Lines of its documentation.
    pub docs: &'static [&'static str],
    /// Its fields in memory order, without gaps.
    pub fields: &'static [Field],
}

/// A number that both languages need.
#[derive(Debug)]
pub struct Constant {
    /// Name in Rust; `ANT_<NAME>` in C.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
}

/// Defines plain `#[repr(C)]` structures together with their [`Struct`] descriptions.
macro_rules! abi_struct {
    ($(
        $(#[doc = $doc:literal])*
        pub struct $name:ident {
            $( $(#[doc = $fdoc:literal])* pub $field:ident : $ty:ty, )*
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
        )]
        #[repr(C)]
        pub struct $name { $( $(#[doc = $fdoc])* pub $field: $ty, )* }

        impl $name {
            /// What the C header generator needs to know.
            pub const DESCRIPTION: $crate::Struct = $crate::Struct {
                name: stringify!($name),
                size: size_of::<$name>(),
                docs: &[$($doc),*],
                fields: &[$( $crate::Field {
                    name: stringify!($field),
                    ty: stringify!($ty),
                    offset: core::mem::offset_of!($name, $field),
                    size: size_of::<$ty>(),
                    docs: &[$($fdoc),*],
                } ),*],
            };
        }
    )*};
}

/// Lists constants of the calling module for the C header: by name, or the name that an enum's variant has
/// there, `NAME = Enum::Variant`.
macro_rules! abi_constants {
    ($($name:ident $(= $variant:path)?),* $(,)?) => {
        /// The numbers of this module that the C header needs.
        pub const CONSTANTS: &[$crate::Constant] = &[
            $( $crate::Constant {
                name: stringify!($name),
                value: abi_constants!(@value $name $($variant)?),
            } ),*
        ];
    };
    (@value $name:ident) => { $name as u64 };
    (@value $name:ident $variant:path) => { $variant as u64 };
}
