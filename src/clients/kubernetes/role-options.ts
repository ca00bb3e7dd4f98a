import { flag, text } from '../../core/options/option.ts';

/** Instead of waiting. */
export const roleOptions = {
  'print-role': flag({
    description: 'print the Role and RoleBinding that this command line needs, and do nothing else',
  }),
  account: text({
    description:
      'for --print-role: who gets the Role, as [NAMESPACE/]NAME; unset, default in the namespace of the pod',
    placeholder: 'NAME',
  }),
};
