FromDevice(client) -> Queue -> ToDevice(out)
FromDevice(out) -> Counter -> ToDevice(client)
