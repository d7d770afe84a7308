// The 18 tables of Synthea's CSV export, with one explicit type per column. Types are never guessed from the data: a column that
// happens to be empty in one file, or holds only digits, has the same type everywhere.
//
//   codes and counts        BIGINT, so that SNOMED codes above 2^53 keep every digit; missing stays null
//   money, coordinates      DOUBLE
//   ZIP, FIPS, phone, ids   VARCHAR: identifiers, not numbers (a ZIP keeps its leading zero)
//   moments and days        TIMESTAMP and DATE (a patient's BIRTHDATE is a TIMESTAMP at midnight, as other readers of the format expect)

export type ColumnType = 'VARCHAR' | 'BIGINT' | 'DOUBLE' | 'DATE' | 'TIMESTAMP';

export type TableColumn = { readonly name: string; readonly type: ColumnType };

/** The medical tables, in the order in which they are processed everywhere. */
export const tableNames = [
  'patients',
  'encounters',
  'conditions',
  'medications',
  'observations',
  'procedures',
  'immunizations',
  'allergies',
  'careplans',
  'imaging_studies',
  'devices',
  'supplies',
  'claims',
  'claims_transactions',
  'payer_transitions',
  'organizations',
  'providers',
  'payers',
] as const;

export type TableName = (typeof tableNames)[number];

const letters = { s: 'VARCHAR', i: 'BIGINT', f: 'DOUBLE', d: 'DATE', t: 'TIMESTAMP' } as const satisfies Record<string, ColumnType>;

/** Reads `Id CODE/i START/t`: column names with the letter of their type, text where none is given. */
function columns(text: string): readonly TableColumn[] {
  return text.split(/\s+/).map((word) => {
    const [name, letter = 's'] = word.split('/');
    return { name: name!, type: letters[letter as keyof typeof letters] };
  });
}

/** Every table's columns, in the order in which Synthea 3.3.0 writes them. */
export const tableSchemas: { readonly [Table in TableName]: readonly TableColumn[] } = {
  patients: columns(
    'Id BIRTHDATE/t DEATHDATE/t SSN DRIVERS PASSPORT PREFIX FIRST MIDDLE LAST SUFFIX MAIDEN MARITAL RACE ETHNICITY GENDER BIRTHPLACE ' +
      'ADDRESS CITY STATE COUNTY FIPS ZIP LAT/f LON/f HEALTHCARE_EXPENSES/f HEALTHCARE_COVERAGE/f INCOME/i',
  ),
  encounters: columns(
    'Id START/t STOP/t PATIENT ORGANIZATION PROVIDER PAYER ENCOUNTERCLASS CODE/i DESCRIPTION BASE_ENCOUNTER_COST/f TOTAL_CLAIM_COST/f ' +
      'PAYER_COVERAGE/f REASONCODE/i REASONDESCRIPTION',
  ),
  conditions: columns('START/d STOP/d PATIENT ENCOUNTER SYSTEM CODE/i DESCRIPTION'),
  medications: columns(
    'START/t STOP/t PATIENT PAYER ENCOUNTER CODE/i DESCRIPTION BASE_COST/f PAYER_COVERAGE/f DISPENSES/i TOTALCOST/f REASONCODE/i ' +
      'REASONDESCRIPTION',
  ),
  observations: columns('DATE/t PATIENT ENCOUNTER CATEGORY CODE DESCRIPTION VALUE UNITS TYPE'),
  procedures: columns('START/t STOP/t PATIENT ENCOUNTER SYSTEM CODE/i DESCRIPTION BASE_COST/f REASONCODE/i REASONDESCRIPTION'),
  immunizations: columns('DATE/t PATIENT ENCOUNTER CODE/i DESCRIPTION BASE_COST/f'),
  allergies: columns(
    'START/d STOP/d PATIENT ENCOUNTER CODE/i SYSTEM DESCRIPTION TYPE CATEGORY REACTION1/i DESCRIPTION1 SEVERITY1 REACTION2/i DESCRIPTION2 ' +
      'SEVERITY2',
  ),
  careplans: columns('Id START/d STOP/d PATIENT ENCOUNTER CODE/i DESCRIPTION REASONCODE/i REASONDESCRIPTION'),
  imaging_studies: columns(
    'Id DATE/t PATIENT ENCOUNTER SERIES_UID BODYSITE_CODE/i BODYSITE_DESCRIPTION MODALITY_CODE MODALITY_DESCRIPTION INSTANCE_UID SOP_CODE ' +
      'SOP_DESCRIPTION PROCEDURE_CODE/i',
  ),
  devices: columns('START/t STOP/t PATIENT ENCOUNTER CODE/i DESCRIPTION UDI'),
  supplies: columns('DATE/d PATIENT ENCOUNTER CODE/i DESCRIPTION QUANTITY/i'),
  claims: columns(
    'Id PATIENTID PROVIDERID PRIMARYPATIENTINSURANCEID SECONDARYPATIENTINSURANCEID DEPARTMENTID/i PATIENTDEPARTMENTID/i DIAGNOSIS1/i ' +
      'DIAGNOSIS2/i DIAGNOSIS3/i DIAGNOSIS4/i DIAGNOSIS5/i DIAGNOSIS6/i DIAGNOSIS7/i DIAGNOSIS8/i REFERRINGPROVIDERID APPOINTMENTID ' +
      'CURRENTILLNESSDATE/t SERVICEDATE/t SUPERVISINGPROVIDERID STATUS1 STATUS2 STATUSP OUTSTANDING1/f OUTSTANDING2/f OUTSTANDINGP/f ' +
      'LASTBILLEDDATE1/t LASTBILLEDDATE2/t LASTBILLEDDATEP/t HEALTHCARECLAIMTYPEID1/i HEALTHCARECLAIMTYPEID2/i',
  ),
  claims_transactions: columns(
    'ID CLAIMID CHARGEID/i PATIENTID TYPE AMOUNT/f METHOD FROMDATE/t TODATE/t PLACEOFSERVICE PROCEDURECODE/i MODIFIER1 MODIFIER2 ' +
      'DIAGNOSISREF1/i DIAGNOSISREF2/i DIAGNOSISREF3/i DIAGNOSISREF4/i UNITS/i DEPARTMENTID/i NOTES UNITAMOUNT/f TRANSFEROUTID/i ' +
      'TRANSFERTYPE PAYMENTS/f ADJUSTMENTS/f TRANSFERS/f OUTSTANDING/f APPOINTMENTID LINENOTE PATIENTINSURANCEID FEESCHEDULEID/i ' +
      'PROVIDERID SUPERVISINGPROVIDERID',
  ),
  payer_transitions: columns('PATIENT MEMBERID START_DATE/t END_DATE/t PAYER SECONDARY_PAYER PLAN_OWNERSHIP OWNER_NAME'),
  organizations: columns('Id NAME ADDRESS CITY STATE ZIP LAT/f LON/f PHONE REVENUE/f UTILIZATION/i'),
  providers: columns('Id ORGANIZATION NAME GENDER SPECIALITY ADDRESS CITY STATE ZIP LAT/f LON/f ENCOUNTERS/i PROCEDURES/i'),
  payers: columns(
    'Id NAME OWNERSHIP ADDRESS CITY STATE_HEADQUARTERED ZIP PHONE AMOUNT_COVERED/f AMOUNT_UNCOVERED/f REVENUE/f COVERED_ENCOUNTERS/i ' +
      'UNCOVERED_ENCOUNTERS/i COVERED_MEDICATIONS/i UNCOVERED_MEDICATIONS/i COVERED_PROCEDURES/i UNCOVERED_PROCEDURES/i ' +
      'COVERED_IMMUNIZATIONS/i UNCOVERED_IMMUNIZATIONS/i UNIQUE_CUSTOMERS/i QOLS_AVG/f MEMBER_MONTHS/i',
  ),
};
