"""The digests of the automata that are kept on disk: which automaton a name stands for (kept_automata.py).

Where a language has changed, the tests of formats tell the new ones.
"""

VALUES = {
    "date": "a0c44e9b262b977cf54525cc7dd998be",
    "date-time": "ac89926470d927c0144f4a711a22108f",
    "duration": "82610540f35603adc6adda394aca305a",
    "email": "aa8d1deb3d62ebc327c3daa76f77f3ac",
    "hostname": "68398c7ce911fe7671348490fa90ac3a",
    "idn-email": "febc61b856e8692d2a57ef0a5f4013f0",
    "idn-hostname": "d9390de8d974d196393068ac63a22fb5",
    "ipv4": "cc14cf2981730d460e2fa7985650482a",
    "ipv6": "3914b519fe44d1aed8450aa2d39629b2",
    "iri": "e2e63d2d568508fa9de4075a24d410d8",
    "iri-reference": "637f9ce7d3121576d7f3de4fc12dc38b",
    "json-pointer": "f18b9ed387e30b92390f8cf8756b7840",
    "regex": "708056c0795c07f7245861b309727e36",
    "relative-json-pointer": "d2aad92fda6371caeec3454f6aab8786",
    "time": "4bf85c6308376d624b9ded5fc6e5be61",
    "uri": "6587122e72c53a56ae148f0b0c0ddaa8",
    "uri-reference": "c7610b20b36e033807b824f920914628",
    "uri-template": "20aba88d0adc119cf714162ac7fde3f7",
    "uuid": "cd9ab48d4c09897baf355ca485966200",
}

SPELLINGS = {
    "date": "c3eee17136c77c8ff8b699300061b0d8",
    "date-time": "53997f78b4977178042ecc0f7ee94d5e",
    "duration": "83f83bb46fa83b0f2107ccd73edff4da",
    "email": "9bba5123b78f36f1b00eb5bc4c103f3c",
    "hostname": "61ef06bccfa5b9f7df34861912f8b94c",
    "idn-email": "0ebfb8c2db405962171f09ee968336e4",
    "idn-hostname": "d716f0a4cf885a78f7646b72af269314",
    "ipv4": "abe96322482e0294eac29b48463369dc",
    "ipv6": "5252606f4e6b5982651a925b46911e13",
    "iri": "e43fd94d997bcfd2efc07cfd619d3be7",
    "iri-reference": "dfc58e816666f5bb09b21ecd2b4362bb",
    "json-pointer": "ac0757ca68ff890a863c6d91820ffe2e",
    "regex": "f857ce017fc01d43c8d5e310250e2cc8",
    "relative-json-pointer": "e16d4f1006d2d5f7fb730860e58e9f7d",
    "time": "23c3ba73a50edcbddc9c2f4d62d08092",
    "uri": "88362b4063995843f4a35faf09562ce0",
    "uri-reference": "12f21e931746c5e91b79f01562aa0eb7",
    "uri-template": "8f64c185f51a4c5f0791cf9555f482a5",
    "uuid": "968d280ada7436e14ee0bd3484218e32",
}
