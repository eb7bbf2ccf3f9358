/** The canonical reason text: `code` or `code:field`. */
export const reasonOf = (poison) => (poison.field === "" ? poison.code : `${poison.code}:${poison.field}`)
