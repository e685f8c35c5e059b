/** White space, and what is drawn as nothing: zero-width spaces and joiners, fillers, marks of direction, U+2800. */
const INVISIBLE = /^[\p{White_Space}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]*$/u;

/** Whether nobody could see the text: a name or a title like that is none. */
export const isInvisible = (text: string): boolean => INVISIBLE.test(text);
