//! IANA's registries as types: any number is a value, and those that are known have a name.

macro_rules! registry {
    ($(#[$doc:meta])* $name:ident($repr:ty), $what:literal: $($value:literal $konst:ident $text:literal $rfc:literal;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $repr);

        impl $name {
            $(#[doc = concat!($text, " (", $rfc, ").")] pub const $konst: Self = Self($value);)*

            /// Every value that has a name here.
            pub const ALL: &'static [Self] = &[$(Self::$konst,)*];

            /// The registry's name for the value, if it is one that is known here.
            pub fn name(self) -> Option<&'static str> {
                match self { $(Self::$konst => Some($text),)* _ => None }
            }

            /// The document that defines the value, if it is one that is known here.
            pub fn source(self) -> Option<&'static str> {
                match self { $(Self::$konst => Some($rfc),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() { Some(name) => f.write_str(name), None => write!(f, concat!($what, " {}"), self.0) }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

pub(crate) use registry;
