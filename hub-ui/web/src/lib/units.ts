// UCUM codes as people write them. What is not listed is shown as it came.

const WRITTEN: Readonly<Record<string, string>> = {
  Cel: '°C',
  '[degF]': '°F',
  K: 'K',
  deg: '°',
  'kW.h': 'kWh',
  'W.h': 'Wh',
  'MW.h': 'MWh',
  'V.A': 'VA',
  'kV.A': 'kVA',
  'kV.A.h': 'kVAh',
  'V.A.h': 'VAh',
  'A.h': 'Ah',
  var: 'var',
  kvar: 'kvar',
  'var.h': 'varh',
  'kvar.h': 'kvarh',
  'm3': 'm³',
  'm3/h': 'm³/h',
  'L/min': 'l/min',
  '[ppm]': 'ppm',
  '1': '',
};

export function writtenUnit(ucum: string): string {
  return WRITTEN[ucum] ?? ucum;
}
