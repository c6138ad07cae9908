"""The public keys whose firmware is taken, with the development key: number -> (x, y). Made by `sign table`."""

KEYS = {
    0: (
        0xCA791338EE4E938C833027A1645AE630DB45C1363781AC0CEF127A55D0DCF559,
        0xBC2BA8E7FB78A9B5D4B7D24B73D50CCC9682DF1E0A4731E85D4C4A70DCA2622B,
    ),
}
