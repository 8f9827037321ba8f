//! Devices: a name at run time becomes a burn device.
