//! Problems that were planted in services, found again.

mod found;
