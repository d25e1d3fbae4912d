//! `device list | set-pin`.

use std::process::ExitCode;

use touchkeep_wire::{ConnectedDevice, ListDevices, SetDevicePin};

use super::{Context, Done};
use crate::{args::Device, output};

pub(super) async fn device(context: &Context<'_>, verb: Device) -> Done {
    match verb {
        Device::List => {
            let devices = context.call(ListDevices {}).await?;
            context.output.result(&devices, |devices| {
                if devices.is_empty() {
                    return "No device is connected.".into();
                }
                let row = |device: &ConnectedDevice| {
                    let pin = match (device.factory_pin, device.tries_left) {
                        (Some(true), _) => {
                            "factory: change it with `touchkeep device set-pin`".into()
                        }
                        (_, Some(tries)) => format!("{tries} tries left"),
                        _ => String::new(),
                    };
                    let enrolled = if device.enrolled.is_some() {
                        "yes"
                    } else {
                        "no"
                    };
                    vec![
                        device.kind.clone(),
                        device.label.clone(),
                        device.serial.clone().unwrap_or_default(),
                        device.firmware.clone().unwrap_or_default(),
                        enrolled.into(),
                        pin,
                    ]
                };
                output::table(
                    &[
                        "KIND",
                        "DEVICE",
                        "SERIAL",
                        "FIRMWARE",
                        "IN THIS VAULT",
                        "PIN",
                    ],
                    &devices.iter().map(row).collect::<Vec<_>>(),
                )
            });
        }
        Device::SetPin { serial } => {
            context.call_asking(SetDevicePin { serial }).await?;
            context.output.say("PIN and PUK are yours now, and the management key is random and protected by the PIN. Write the PUK down: it unblocks the PIN.");
        }
    }
    Ok(ExitCode::SUCCESS)
}
